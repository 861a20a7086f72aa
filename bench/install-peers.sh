#!/usr/bin/env bash
# Installs the peer servers that peerbench measures into a cache folder, from
# the package registries only: the Go module proxy, Debian and npm.
#
#   ./install-peers.sh            # all of them
#   ./install-peers.sh nats floor # some of them
#
# The folder is $PEERBENCH_CACHE, or ~/.cache/peerbench. VERSIONS there records
# what was installed. Running it again is cheap and updates nothing that is
# pinned below.
set -euo pipefail

nats_version=v2.15.2
mochi_version=v2.7.9
socketio_version=4.8.4

here=$(cd "$(dirname "$0")" && pwd)
cache=${PEERBENCH_CACHE:-$HOME/.cache/peerbench}
mkdir -p "$cache/bin" "$cache/node"
touch "$cache/VERSIONS"

# record NAME VERSION: notes what is installed now.
record() {
  { grep -v "^$1 " "$cache/VERSIONS" || true; echo "$1 $2"; } >"$cache/VERSIONS.new"
  mv "$cache/VERSIONS.new" "$cache/VERSIONS"
  echo "$1 $2"
}

install_floor() {
  (cd "$here" && go build -o "$cache/bin/floor" ./servers/floor)
  record floor "$(go env GOVERSION)"
}

install_advect() { # this repository as it is, and the same with a profiler
  (cd "$here/.." && go build -trimpath -o "$cache/bin/advect" ./cmd/advect)
  (cd "$here/servers/advect" && go build -trimpath -o "$cache/bin/advect-profiled" .)
  record advect "$(cd "$here" && git describe --always --dirty)"
}

install_centrifuge() { # the library; servers/centrifuge/go.mod pins its version
  (cd "$here/servers/centrifuge" && go build -o "$cache/bin/centrifuge" .)
  record centrifuge "$(cd "$here/servers/centrifuge" && go list -m -f '{{.Version}}' github.com/centrifugal/centrifuge)"
}

install_nats() {
  GOBIN="$cache/bin" go install "github.com/nats-io/nats-server/v2@$nats_version"
  record nats "$nats_version"
}

install_mochi() { # its stock command, which go install would name "cmd"
  local dir
  dir=$(mktemp -d)
  GOBIN="$dir" go install "github.com/mochi-mqtt/server/v2/cmd@$mochi_version"
  mv "$dir/cmd" "$cache/bin/mochi-mqtt"
  rmdir "$dir"
  record mochi "$mochi_version"
}

install_mosquitto() { # Debian may start a service on install: stop it if so
  if ! command -v mosquitto >/dev/null && ! [ -x /usr/sbin/mosquitto ]; then
    apt-get update
    apt-get install -y --no-install-recommends mosquitto
  fi
  ln -sf "$(PATH=$PATH:/usr/sbin command -v mosquitto)" "$cache/bin/mosquitto"
  record mosquitto "$(dpkg-query -W -f '${Version}' mosquitto)"
}

install_socketio() {
  npm install --prefix "$cache/node" --no-audit --no-fund "socket.io@$socketio_version"
  record socket.io "$socketio_version on node $(node --version)"
}

if [ $# -eq 0 ]; then
  set -- floor advect nats mochi centrifuge mosquitto socketio
fi
for peer in "$@"; do
  "install_$peer"
done
