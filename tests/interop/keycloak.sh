#!/usr/bin/env bash
# The interop suite against Keycloak: tests/interop/keycloak.sh [PYTEST ARGUMENTS], from anywhere.
# Needs Java 17 or later, Maven (which fetches the distribution, 160 MB, once) and unzip; PYTHON names another Python than
# the environment's. It listens on 127.0.0.1:8090, and is told of nothing else than agency-realm.json. Its first start
# takes a minute or more; so .ci/run leaves it out.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
version=${KEYCLOAK_VERSION:-26.4.7}
name=keycloak-quarkus-dist
python=${PYTHON:-$here/../../.venv/bin/python}

folder=$(mktemp -d)
server=
end() {
    [ -z "$server" ] || { kill "$server"; wait "$server" || true; }
    rm -rf "$folder"
}
trap end EXIT

mvn -q dependency:copy "-Dartifact=org.keycloak:$name:$version:zip" "-DoutputDirectory=$folder"
unzip -q "$folder/$name-$version.zip" -d "$folder"
home=$folder/keycloak-$version
mkdir -p "$home/data/import"
cp "$here/agency-realm.json" "$home/data/import/"

"$home/bin/kc.sh" start-dev --import-realm --http-host=127.0.0.1 --http-port=8090 >"$folder/log" 2>&1 &
server=$!
issuer=http://127.0.0.1:8090/realms/agency
until curl -sf --noproxy '*' -o "$folder/metadata" "$issuer/.well-known/openid-configuration"; do
    kill -0 "$server" 2>/dev/null || { cat "$folder/log"; echo "Keycloak did not start" >&2; exit 1; }
    sleep 1
done

export GATEWAY_INTEROP_ISSUER=$issuer GATEWAY_INTEROP_CLIENT_ID=gateway GATEWAY_INTEROP_SECRET="a secret of the tests"
export GATEWAY_INTEROP_LOGIN=alice GATEWAY_INTEROP_PASSWORD="correct horse" GATEWAY_INTEROP_SUB=sub-alice
cd "$here/../.."
"$python" -m pytest -q -n0 tests/interop "$@"
