# The defaults are meant for production. Uncomment these to be notified of alarms and cost:
# alarm_email        = "team@example.com"
# alarm_email_now    = "oncall@example.com"
# monthly_budget_usd = 100
environment        = "prod"
log_retention_days = 90
