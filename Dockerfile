# ecs-discovery in an image of its own: one static binary, CA certificates, and nothing else.
#
#   docker build -t ecs-discovery .
#
# amd64 and arm64, each built on its own kind: natively, or under emulation by
# `docker buildx build --platform linux/arm64 .`. Nothing here needs BuildKit: Docker's classic builder
# and buildah will do. Compiling aws-sdk-ec2 takes about 7 GB of memory.
# tests/image builds it and tries it out.

# At least the rust-version of Cargo.toml. The slim image brings what ring (the cryptography
# of TLS) and the linker need, gcc and libc6-dev, and CA certificates.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src

# Static, so that the final stage needs no C library. The flag takes a --target, although that is this
# very machine's: without one it would reach build scripts and procedural macros too, and the latter
# cannot be static. rustc is asked for it, because only BuildKit sets TARGETARCH.
# A static glibc resolves names from /etc/hosts and by DNS without any file of its own: both services are
# in libc.a since 2.34, and they are the default where there is no nsswitch.conf.
# Packed relative relocations (RELR) take off a fifteenth of the binary. Here the program brings its own C library,
# which reads them; elsewhere a glibc before 2.36 would refuse to start it.
ENV RUSTFLAGS="-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs"

# The dependencies, in a layer that only a change to a manifest or to the lock file builds anew.
# Empty sources stand in for ours. The other members are only for tests: cargo wants to see their manifests
# and a source file, but downloads and compiles nothing for them.
COPY Cargo.toml Cargo.lock ./
COPY tests/benches/Cargo.toml tests/benches/
COPY tests/simaws/Cargo.toml tests/simaws/
RUN mkdir -p src tests/simaws/src \
 && touch src/lib.rs tests/simaws/src/lib.rs \
 && echo 'fn main() {}' > src/main.rs \
 && cargo build --locked --release --package ecs-discovery --bin ecs-discovery \
        --target "$(rustc --print host-tuple)"

# The program. Cargo goes by modification times, and COPY keeps those of the working copy, which are
# older than the empty sources built above: without the touch the empty program would pass as fresh.
# REVISION is what the metric build_info shows: --build-arg REVISION="$(git rev-parse --short HEAD)".
ARG REVISION=unknown
COPY src src
RUN touch src/lib.rs src/main.rs \
 && ECS_DISCOVERY_REVISION="$REVISION" \
    cargo build --locked --release --package ecs-discovery --bin ecs-discovery \
        --target "$(rustc --print host-tuple)"

# The final root, file by file.
# - The binary's second name is where the original's image has it, for task definitions that name it.
# - `user: "0"` and `user: "root"` both work: the latter needs a line in passwd.
# - The home directory is only a place to mount ~/.aws at when trying things on a laptop.
# - No /tmp: the program's temporary file is beside the file it replaces, as rename(2) needs it.
# - No time zones: nothing shows local time.
WORKDIR /final
RUN mkdir -p rootfs/bin rootfs/etc/ssl/certs output \
 && cp "/src/target/$(rustc --print host-tuple)/release/ecs-discovery" rootfs/bin/ \
 && ln -s ecs-discovery rootfs/bin/prometheus-ecs-discovery \
 && cp /etc/ssl/certs/ca-certificates.crt rootfs/etc/ssl/certs/ \
 && printf '%s\n' 'root:x:0:0:root:/root:/sbin/nologin' \
        'nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin' > rootfs/etc/passwd \
 && printf '%s\n' 'root:x:0:' 'nonroot:x:65532:' > rootfs/etc/group

FROM scratch
# Whoever publishes adds version, revision and source with --label: only they know them.
LABEL org.opencontainers.image.title="ecs-discovery" \
      org.opencontainers.image.description="Finds the containers on Amazon ECS that export metrics and keeps a Prometheus file_sd file of them" \
      org.opencontainers.image.licenses="Apache-2.0"

COPY --from=build /final/rootfs/ /
COPY --from=build --chown=65532:65532 /final/output /output

# A volume mounted at exactly this path takes over the directory's owner; one mounted anywhere else
# belongs to root, and the program, which does not run as root, cannot write to it (ECS: "bind
# mounts" in the task definition, with no host path). Nothing may follow that writes to /output.
VOLUME ["/output"]

# By number, so that an orchestrator can tell that it isn't root. The number is distroless's nonroot.
USER 65532:65532

# The flags are the container's `command`, as with the original. No WORKDIR, because a relative
# -config.write-to counted from / there as well. No ENV AWS_REGION: ECS agents leave the region unset
# where an image sets it. No HEALTHCHECK: ECS ignores it and takes the task definition's.
ENTRYPOINT ["/bin/ecs-discovery"]
