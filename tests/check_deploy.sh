#!/usr/bin/env bash
# Checks what can be checked of the deployment without a container engine: the compose file (parsed, and by `docker
# compose config` where that is installed), that it refuses a missing secret, the environment's example, and nginx with
# the real configuration against small servers on loopback addresses. Says what it could not check.
set -euo pipefail
cd "$(dirname "$0")/.."

not_checked=()
say() { printf 'check_deploy: %s\n' "$*"; }
die() { say "FAILED: $*" >&2; exit 1; }

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

find_nginx() { PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v nginx || true; }

nginx=$(find_nginx)
if [ -z "$nginx" ]; then
    command -v apt-get >/dev/null || die "nginx is missing: install it (dnf install nginx, apk add nginx, brew install nginx)"
    say "installing nginx-light"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nginx-light >/dev/null
    nginx=$(find_nginx)
    [ -n "$nginx" ] || die "nginx is still missing after installing nginx-light"
fi

python=${PYTHON:-}
if [ -z "$python" ]; then
    for candidate in target/venv/bin/python python3; do
        if "$candidate" -c 'import yaml' 2>/dev/null; then python=$candidate; break; fi
    done
fi
[ -n "$python" ] || die "no Python with PyYAML: tests/run makes one in target/venv (or: apt-get install python3-yaml)"

"$python" tests/check_compose.py
"$python" tests/check_nginx.py "$nginx"

# The compose client (version 2; the first one is too old for this file) knows schema and interpolation best.
compose=(docker compose)
if ! "${compose[@]}" version >/dev/null 2>&1; then
    not_checked+=("the schema by 'docker compose config' (no compose plugin here)")
else
    filled=$(mktemp); trap 'rm -f "$filled"' EXIT
    sed -E 's/^([A-Z_]+)=$/\1=sample/; s/^(XINGFUMA_HTTP_PORT)=.*/\1=8080/' deploy/env.example >"$filled"
    env -i PATH="$PATH" HOME="${HOME:-/}" "${compose[@]}" --env-file "$filled" config >/dev/null ||
        die "${compose[*]} config refuses docker-compose.yml"
    if env -i PATH="$PATH" HOME="${HOME:-/}" "${compose[@]}" --env-file deploy/env.example config >/dev/null 2>&1; then
        die "${compose[*]} config accepts empty secrets"
    fi
    say "${compose[*]} config accepts the filled environment and refuses the empty one"
fi

not_checked+=("building the image and starting the containers (needs a container engine)")
for what in "${not_checked[@]}"; do say "NOT CHECKED: $what"; done
say "passed"
