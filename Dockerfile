# The local stack: `podium local` with its functions, the API and the dashboard on port 7000, the AWS endpoint on
# 7001. It is open to everyone who reaches these ports, so publish them on loopback:
#
#   docker build --tag podium .
#   docker run --rm -p 127.0.0.1:7000:7000 -p 127.0.0.1:7001:7001 -v podium-data:/data podium

FROM rust:1.95.0-slim-trixie AS builder
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY Cargo.toml Cargo.lock LICENSE README.md CHANGELOG.md ./
COPY crates crates
COPY dashboard dashboard
COPY scripts scripts
# Cargo reads the manifests of all members of the workspace.
COPY tests tests
RUN scripts/release-archive --output /release \
    && mkdir /podium \
    && tar -xzf /release/podium-*.tar.gz -C /podium --strip-components=1

FROM debian:trixie-slim
# The HTTP clients refuse to start without root certificates, although they speak plain HTTP here.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home podium \
    && install --directory --mode=0700 --owner=podium --group=podium /data
COPY --from=builder /podium /opt/podium
ENV PATH=/opt/podium:$PATH
USER podium
WORKDIR /data
VOLUME /data
EXPOSE 7000 7001
HEALTHCHECK --interval=30s --start-period=90s CMD ["podium", "board", "--limit", "1"]
# Further options of `podium local` can follow the image's name.
ENTRYPOINT ["podium", "local", "--listen", "0.0.0.0", "--data-dir", "/data"]
