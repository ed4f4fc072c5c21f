//! Converts a stream record from the SDK's types back to the API's JSON.

use std::collections::HashMap;

use anyhow::{Context as _, bail};
use aws_sdk_dynamodbstreams::primitives::Blob;
use aws_sdk_dynamodbstreams::types::{AttributeValue, Record};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// Omits absent fields, as the service does.
pub fn document(record: &Record) -> anyhow::Result<Value> {
    let change = record.dynamodb().context("a record without a change")?;
    let created_at = change
        .approximate_creation_date_time()
        .context("a record without a time of creation")?;
    let new_image = change.new_image().map(item).transpose()?;
    let old_image = change.old_image().map(item).transpose()?;
    let identity = record.user_identity().map(|identity| {
        present([
            ("type", identity.r#type().map(Value::from)),
            ("principalId", identity.principal_id().map(Value::from)),
        ])
    });
    let change = present([
        (
            "ApproximateCreationDateTime",
            Some(created_at.as_secs_f64().into()),
        ),
        ("Keys", change.keys().map(item).transpose()?),
        ("NewImage", new_image),
        ("OldImage", old_image),
        ("SequenceNumber", change.sequence_number().map(Value::from)),
        ("SizeBytes", change.size_bytes().map(Value::from)),
        (
            "StreamViewType",
            change.stream_view_type().map(|view| view.as_str().into()),
        ),
    ]);
    Ok(present([
        ("eventID", record.event_id().map(Value::from)),
        ("eventName", record.event_name().map(|name| name.as_str().into())),
        ("eventVersion", record.event_version().map(Value::from)),
        ("eventSource", record.event_source().map(Value::from)),
        ("awsRegion", record.aws_region().map(Value::from)),
        ("dynamodb", Some(change)),
        ("userIdentity", identity),
    ]))
}

fn present<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let fields = fields.into_iter();
    let present = fields.filter_map(|(name, value)| Some((name.to_owned(), value?)));
    present.collect::<Map<_, _>>().into()
}

fn item(item: &HashMap<String, AttributeValue>) -> anyhow::Result<Value> {
    let fields = item
        .iter()
        .map(|(name, value)| Ok((name.clone(), attribute(value)?)));
    fields.collect::<anyhow::Result<Map<_, _>>>().map(Value::from)
}

fn attribute(value: &AttributeValue) -> anyhow::Result<Value> {
    let bytes = |blob: &Blob| STANDARD.encode(blob);
    Ok(match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(number) => json!({ "N": number }),
        AttributeValue::B(blob) => json!({ "B": bytes(blob) }),
        AttributeValue::Bool(flag) => json!({ "BOOL": flag }),
        AttributeValue::Null(flag) => json!({ "NULL": flag }),
        AttributeValue::Ss(texts) => json!({ "SS": texts }),
        AttributeValue::Ns(numbers) => json!({ "NS": numbers }),
        AttributeValue::Bs(blobs) => json!({ "BS": blobs.iter().map(bytes).collect::<Vec<_>>() }),
        AttributeValue::L(values) => {
            json!({ "L": values.iter().map(attribute).collect::<anyhow::Result<Vec<_>>>()? })
        }
        AttributeValue::M(fields) => json!({ "M": item(fields)? }),
        _ => bail!("this version of the SDK does not know the type of an attribute"),
    })
}
