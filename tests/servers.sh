#!/bin/sh
# Install what tests need beside Python, where this machine lets us; tests say so where something is missing.
set -u
missing=""
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
command -v promtool >/dev/null 2>&1 || missing="$missing prometheus"
command -v javac >/dev/null 2>&1 || missing="$missing openjdk-17-jdk-headless"
command -v mvn >/dev/null 2>&1 || missing="$missing maven"
command -v faketime >/dev/null 2>&1 || missing="$missing faketime"
command -v rsyslogd >/dev/null 2>&1 || missing="$missing rsyslog rsyslog-relp rsyslog-gnutls rsyslog-elasticsearch"
command -v logger >/dev/null 2>&1 || missing="$missing bsdutils"
{ command -v softflowd || [ -x /usr/sbin/softflowd ]; } >/dev/null 2>&1 || missing="$missing softflowd"
{ command -v nginx || [ -x /usr/sbin/nginx ]; } >/dev/null 2>&1 || missing="$missing nginx-light"
[ -x /lib/systemd/systemd-journal-remote ] || missing="$missing systemd-journal-remote"
[ -z "$missing" ] && exit 0
if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" != 0 ]; then
    echo "not installed and not ours to install:$missing (tests that need it skip, or fail under CI=true)" >&2
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1  # so that no package starts its service
apt-get update -qq >/dev/null
for package in $missing; do
    apt-get install -y -qq --no-install-recommends "$package" >/dev/null || echo "could not install: $package" >&2
done
exit 0
