# The image of ecs-discovery: one static binary, CA certificates, and nothing else.
#
#   docker build -t ecs-discovery .
#
# Builds for amd64 and arm64, natively or under emulation (`docker buildx build --platform linux/arm64 .`). BuildKit is
# not needed: Docker's classic builder and buildah also work. Compiling aws-sdk-ec2 takes about 7 GB of memory.
# tests/image builds and tests this image.

# The exact version in rust-toolchain.toml, and at least the rust-version in Cargo.toml; Dependabot updates the digest. The
# slim image has what ring (the cryptography of TLS) and the linker need, gcc and libc6-dev, as well as CA certificates.
FROM rust:1.95.0-slim-bookworm@sha256:d7482085ff5b415f84dba5647ae71606650bdef00db7aeb69f4b3d170c3e4082 AS build
WORKDIR /src

# Adds a list of the crates to the binary, which scanners of vulnerabilities read (`cargo audit bin`, Trivy, Syft). Before
# RUSTFLAGS is set, because cargo cannot build its procedural macros with it.
RUN cargo install --locked --root /usr/local cargo-auditable@0.7.7

# A static binary, so that the final stage needs no C library. Because of this flag cargo needs an explicit --target,
# although it is the host's: without it the flag would also apply to build scripts and to procedural macros, which cannot
# be static. The target comes from rustc because only BuildKit sets TARGETARCH.
# A static glibc resolves names from /etc/hosts and by DNS without further files: since 2.34 both services are in libc.a,
# and they are the default if there is no nsswitch.conf.
# Packed relative relocations (RELR) make the binary 7 % smaller. The static libc, glibc 2.36, supports them.
ENV RUSTFLAGS="-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs"

# The dependencies, in a layer that is rebuilt only when a manifest or the lock file changes. Empty sources stand in for
# ours. The other workspace members are only for tests: cargo needs their manifests and one source file, but downloads
# and compiles nothing for them.
COPY Cargo.toml Cargo.lock ./
COPY fuzz/Cargo.toml fuzz/
COPY tests/benches/Cargo.toml tests/benches/
COPY tests/simaws/Cargo.toml tests/simaws/
COPY tests/soak/Cargo.toml tests/soak/
RUN mkdir -p src fuzz/src tests/simaws/src \
 && touch src/lib.rs fuzz/src/lib.rs tests/simaws/src/lib.rs \
 && echo 'fn main() {}' > src/main.rs \
 && cargo auditable build --locked --release --package ecs-discovery --bin ecs-discovery \
        --target "$(rustc --print host-tuple)"

# The program. The touch is needed because cargo compares modification times, and COPY keeps those of the working copy,
# which are older than the empty sources above: cargo would take the empty program for up to date.
# REVISION is shown by the metric build_info: --build-arg REVISION="$(git rev-parse --short HEAD)".
ARG REVISION=unknown
COPY src src
RUN touch src/lib.rs src/main.rs \
 && ECS_DISCOVERY_REVISION="$REVISION" \
    cargo auditable build --locked --release --package ecs-discovery --bin ecs-discovery \
        --target "$(rustc --print host-tuple)"

# The root file system of the final stage.
# - The second name of the binary is its path in the original image, for task definitions that use it.
# - `user: "0"` and `user: "root"` both work: the latter needs an entry in passwd.
# - The home directory exists only as a mount point for ~/.aws in local tests.
# - The licences of everything that is in the binary, because most of them must accompany it.
# - No /tmp: the program creates its temporary file next to the file it replaces, as rename(2) requires.
# - No time zone data: nothing shows local time.
COPY LICENSE ./
COPY .github/licenses .github/
WORKDIR /final
RUN mkdir -p rootfs/bin rootfs/etc/ssl/certs rootfs/usr/share/doc/ecs-discovery output \
 && cp "/src/target/$(rustc --print host-tuple)/release/ecs-discovery" rootfs/bin/ \
 && ln -s ecs-discovery rootfs/bin/prometheus-ecs-discovery \
 && cp /etc/ssl/certs/ca-certificates.crt rootfs/etc/ssl/certs/ \
 && cp /src/LICENSE rootfs/usr/share/doc/ecs-discovery/ \
 && /src/.github/licenses "$(rustc --print host-tuple)" > rootfs/usr/share/doc/ecs-discovery/third-party-licenses.txt \
 && cp "$(rustc --print sysroot)/share/doc/rust/COPYRIGHT-library.html" \
        rootfs/usr/share/doc/ecs-discovery/rust-standard-library.html \
 && gzip --no-name --best rootfs/usr/share/doc/ecs-discovery/third-party-licenses.txt \
        rootfs/usr/share/doc/ecs-discovery/rust-standard-library.html \
 && printf '%s\n' 'root:x:0:0:root:/root:/sbin/nologin' \
        'nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin' > rootfs/etc/passwd \
 && printf '%s\n' 'root:x:0:' 'nonroot:x:65532:' > rootfs/etc/group

FROM scratch
# The publisher adds version, revision and source with --label.
LABEL org.opencontainers.image.title="ecs-discovery" \
      org.opencontainers.image.description="Finds the containers on Amazon ECS that export metrics and keeps a Prometheus file_sd file of them" \
      org.opencontainers.image.licenses="Apache-2.0"

COPY --from=build /final/rootfs/ /
COPY --from=build --chown=65532:65532 /final/output /output

# A volume mounted at exactly this path gets the owner of this directory. A volume mounted anywhere else belongs to root,
# and the program, which does not run as root, cannot write to it. (On ECS: a "bind mount" in the task definition, without
# a host path.) No later instruction may write to /output.
VOLUME ["/output"]

# Numeric, so that an orchestrator can verify that it is not root. 65532 is distroless's nonroot.
USER 65532:65532

# The container's `command` holds the flags, as with the original. No WORKDIR: a relative -config.write-to is relative to
# / in the original image too. No ENV AWS_REGION: ECS agents do not set the region if the image sets it. No HEALTHCHECK:
# ECS ignores it and uses the one of the task definition.
ENTRYPOINT ["/bin/ecs-discovery"]
