#!/bin/sh
# Installs the built agent as a systemd service: systemd/install.sh [--root DIR] [--arch x64|arm64]
#
# Takes dist/ (npm run build) and the Node.js that npm ci fetched; the device needs neither npm nor network.
# With --root it installs into another root file system, for example of an SD card, and starts nothing.
# Run it again to upgrade: configuration and data are left alone.
set -eu

root= arch=
while [ $# -gt 0 ]; do
  case "$1" in
    --root) root=${2:?--root needs a directory}; shift 2 ;;
    --arch) arch=${2:?--arch needs x64 or arm64}; shift 2 ;;
    *) echo "install.sh: unknown option $1; usage: systemd/install.sh [--root DIR] [--arch x64|arm64]" >&2; exit 2 ;;
  esac
done
if [ -z "$arch" ]; then
  case "$(uname -m)" in
    x86_64) arch=x64 ;;
    aarch64) arch=arm64 ;;
    *) echo "install.sh: no Node.js for $(uname -m); 64-bit x86 and ARM are supported" >&2; exit 1 ;;
  esac
fi

home=$(dirname "$(dirname "$(readlink -f "$0")")")
node="$home/node_modules/node-linux-$arch/bin/node"
[ -f "$home/dist/main.js" ] || { echo "install.sh: $home/dist is missing; run 'npm ci && npm run build' first" >&2; exit 1; }
[ -f "$node" ] || { echo "install.sh: $node is missing; run 'node_modules/.bin/node scripts/fetch-node.ts --arch $arch' in $home" >&2; exit 1; }

to="$root/opt/agent-mesh"
install -d "$to" "$to/bin" "$root/etc/agent-mesh" "$root/etc/systemd/system" "$root/etc/sysusers.d" "$root/usr/local/bin"
# Beside the old one and then exchanged: a running agent still loads parts of the old one.
rm -rf "$to/dist.new"
cp -r "$home/dist" "$to/dist.new"
install -m 0755 "$home/bin/agent-mesh" "$to/bin/agent-mesh"
install -m 0755 "$node" "$to/bin/node.new"
install -m 0644 "$(dirname "$(dirname "$node")")/LICENSE" "$to/bin/node.LICENSE"
mv -f "$to/bin/node.new" "$to/bin/node"
rm -rf "$to/dist.old"
[ ! -d "$to/dist" ] || mv "$to/dist" "$to/dist.old"
mv "$to/dist.new" "$to/dist"
rm -rf "$to/dist.old"
chmod -R u=rwX,go=rX "$to"
ln -sf /opt/agent-mesh/bin/agent-mesh "$root/usr/local/bin/agent-mesh"
install -m 0644 "$home/systemd/agent-mesh.service" "$root/etc/systemd/system/agent-mesh.service"
install -m 0644 "$home/systemd/agent-mesh.sysusers" "$root/etc/sysusers.d/agent-mesh.conf"
[ -e "$root/etc/agent-mesh/config.yaml" ] || install -m 0644 "$home/systemd/config.yaml" "$root/etc/agent-mesh/config.yaml"

if [ -n "$root" ]; then
  systemd-sysusers --root="$root" agent-mesh.conf
  systemctl --root="$root" enable agent-mesh.service
else
  systemd-sysusers agent-mesh.conf
  systemctl daemon-reload
  systemctl enable agent-mesh.service
  systemctl restart agent-mesh.service
fi
