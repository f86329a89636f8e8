#!/usr/bin/env bash
# Builds the image without any registry: a Debian base by debootstrap, then the Dockerfile by podman with runc. As root.
#   deploy/image.sh DIRECTORY [TAG]      DIRECTORY keeps the base between runs
# Prints what it does; exits 3, saying why, where this machine cannot run a builder.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mkdir -p "$1" && cd "$1" && pwd) tag=${2:-postlaw:dev}
for program in debootstrap podman runc; do
  command -v "$program" >/dev/null || { echo "no image: $program is not installed"; exit 3; }
done
[ "$(id -u)" = 0 ] || { echo "no image: a base can only be made by root"; exit 3; }
run=(podman --runtime "$(command -v runc)" --cgroup-manager cgroupfs)
limits=(--ulimit nofile=4096:4096 --ulimit nproc=4096:4096) # podman asks for more than a bare machine may give

suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
mirror=$(sed -n 's/^URIs: *//p; s/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) .* main.*/\2/p' /etc/apt/sources.list /etc/apt/sources.list.d/*.sources 2>/dev/null | head -1 || true)
if ! [ -x "$work/base/usr/bin/python3" ]; then
  debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates "$suite" "$work/base" "$mirror" >"$work/debootstrap.log" 2>&1 \
    || { tail -3 "$work/debootstrap.log"; echo "no image: debootstrap failed"; exit 3; }
  rm -rf "$work/base/var/cache/apt/archives"/*.deb "$work/base/var/lib/apt/lists"/*
fi
tar -C "$work/base" -c . | "${run[@]}" import --quiet - postlaw-base:local >/dev/null || { echo "no image: podman cannot keep images here"; exit 3; }

# What this machine's pip was told (an index, a proxy, authorities) holds within the build as well; nothing of it stays in the image.
told=(--volume /etc/ssl/certs:/etc/ssl/certs:ro)
for name in PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST PIP_CERT HTTPS_PROXY HTTP_PROXY NO_PROXY; do
  [ -z "${!name:-}" ] || told+=(--build-arg "$name=${!name}")
done
for config in /etc/pip.conf; do
  [ ! -f "$config" ] || told+=(--volume "$config:$config:ro")
done
"${run[@]}" build --quiet --network host "${limits[@]}" "${told[@]}" --format docker \
  --build-arg BASE=localhost/postlaw-base:local -t "$tag" .

# One service from it, confined as docker-compose.yml confines it, until its probe says that it is ready.
confined=(--network host "${limits[@]}" --read-only --cap-drop ALL --security-opt no-new-privileges --tmpfs /tmp:mode=1777)
confined+=(--no-healthcheck --volume /var/lib/postlaw --env POSTLAW_LISTEN=127.0.0.1 --env POSTLAW_HEALTH_PORT=19000)
"${run[@]}" run --rm "${confined[@]}" "$tag" --version
running=$("${run[@]}" run --detach "${confined[@]}" "$tag" run identity)
trap '"${run[@]}" rm --force "$running" >/dev/null' EXIT
for _ in $(seq 60); do
  if "${run[@]}" exec "$running" python -m postlaw_common.probe; then
    "${run[@]}" exec "$running" python -c 'import os; print("the image is built: identity runs in it, ready, as user", os.getuid())'
    exit 0
  fi
  sleep 0.5
done
"${run[@]}" logs "$running" | tail -5
echo "the image was built, but identity did not become ready in it"
exit 1
