# The host and its plugins on Debian without a shell, as a user that is not root:
#
#   docker build -t cluster-host .
#   docker run --network host -v ./cluster.toml:/etc/cluster-host/cluster.toml:ro cluster-host
#
# Plugins of others, by an image on top of it (their glibc is at most that of Debian 12):
#
#   FROM cluster-host
#   COPY libstrategy_ec2.so /usr/lib/cluster-host/plugins/
ARG RUST_VERSION=1.95
FROM rust:${RUST_VERSION}-slim-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends make && rm -rf /var/lib/apt/lists/*
WORKDIR /build/libcluster-rs
COPY . .
# The host does not look for the checkout that it was built from.
ENV CLUSTER_HOST_DIST=1
RUN make build plugins
# What a container writes is its user's; the image's own files are root's, and nobody else may write to plugins.
RUN install -d /image/usr/bin /image/usr/lib/cluster-host/plugins /image/etc/cluster-host \
    && install -d -o 65532 -g 65532 -m 700 /image/run/cluster-host /image/var/lib/cluster-host \
    && install -m 755 target/release/cluster-host /image/usr/bin/ \
    && install -m 644 plugins/*.so /image/usr/lib/cluster-host/plugins/ \
    && install -m 644 contrib/deb/cluster.toml /image/etc/cluster-host/

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /image/ /
# Where the daemon's socket is, and its commands look for it.
ENV RUNTIME_DIRECTORY=/run/cluster-host
USER 65532:65532
# That it answers. Whether it is ready is another question, for who routes traffic: cluster-host ready.
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s CMD ["/usr/bin/cluster-host", "topologies"]
ENTRYPOINT ["/usr/bin/cluster-host", "run", "--config", "/etc/cluster-host/cluster.toml", "--plugins", "/usr/lib/cluster-host/plugins"]
