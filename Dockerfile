# Needs BuildKit (the default since Docker 23). The cache mounts keep crates and objects between builds.
FROM rust:1.95-bookworm AS builder
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --release -p xingfuma \
    && install -D target/release/xingfuma /out/xingfuma

# The same Debian as the builder's, so that the C library matches.
FROM debian:bookworm-slim
# Root certificates, for the calls to WeChat.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home --home-dir /var/lib/xingfuma --shell /usr/sbin/nologin xingfuma \
    && install -d -o xingfuma /var/lib/xingfuma/media
COPY --from=builder /out/xingfuma /usr/local/bin/xingfuma
USER 10001
WORKDIR /var/lib/xingfuma
ENV XINGFUMA_LISTEN=0.0.0.0:8080
EXPOSE 8080
# The binary asks itself: the image needs no curl. Readiness includes the database, so the first seconds may fail.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["xingfuma", "healthcheck", "--url", "http://127.0.0.1:8080/readyz"]
ENTRYPOINT ["xingfuma"]
CMD ["serve"]
