#!/bin/sh
# Gives each role of Almena its rights on Kafka, and nothing beyond. Written by `make docs`.
#   AT="--bootstrap-server k1:9093 --command-config admin.properties" PREFIX=almena sh acls.sh
# Users are called almena-<role>; KAFKA_ACLS names Kafka's own tool where it is not on the path.
set -eu
: "${AT:?say where: AT='--bootstrap-server HOST:PORT --command-config FILE'}"
PREFIX="${PREFIX:-almena}"
allow() {  # role kind name pattern operations...
    role=$1 kind=$2 name=$3 pattern=$4
    shift 4
    for operation in "$@"; do set -- "$@" --operation "$operation"; shift; done
    # shellcheck disable=SC2086
    "${KAFKA_ACLS:-kafka-acls.sh}" $AT --add --allow-principal "User:almena-$role" "$@" \
        "--$kind" "$PREFIX.$name" --resource-pattern-type "$pattern"
}
allow collect topic 'events' literal Write
allow collect topic 'hits' literal Describe
allow collect topic 'alerts' literal Describe
allow collect topic 'dead' literal Write
allow collect topic 'ledger' literal Write
allow collect topic 'check' literal Write
allow collect transactional-id 'append.collect@' prefixed Write
allow detect topic 'events' literal Read
allow detect topic 'hits' literal Write
allow detect topic 'alerts' literal Write
allow detect topic 'dead' literal Write
allow detect topic 'ledger' literal Write
allow detect topic 'check' literal Write
allow detect topic 'state.detect.events' literal Read Write
allow detect group 'detect.events' literal Read
allow detect transactional-id 'detect.events.' prefixed Write
allow detect transactional-id 'append.detect@' prefixed Write
allow correlate topic 'events' literal Read
allow correlate topic 'hits' literal Read
allow correlate topic 'alerts' literal Write
allow correlate topic 'dead' literal Write
allow correlate topic 'ledger' literal Write
allow correlate topic 'check' literal Write
allow correlate topic 'state.correlate.hits' literal Read Write
allow correlate group 'correlate.hits' literal Read
allow correlate transactional-id 'correlate.hits.' prefixed Write
allow correlate transactional-id 'append.correlate@' prefixed Write
allow desk topic 'events' literal Read
allow desk topic 'hits' literal Describe
allow desk topic 'alerts' literal Read Write
allow desk topic 'dead' literal Read Write
allow desk topic 'ledger' literal Read
allow desk topic 'check' literal Write
allow desk topic 'state.desk.alerts' literal Read Write
allow desk group 'desk.alerts' literal Read
allow desk transactional-id 'desk.alerts.' prefixed Write
allow desk topic 'state.desk.dead' literal Read Write
allow desk group 'desk.dead' literal Read
allow desk transactional-id 'desk.dead.' prefixed Write
allow desk topic 'state.desk.ledger' literal Read Write
allow desk group 'desk.ledger' literal Read
allow desk transactional-id 'desk.ledger.' prefixed Write
allow desk topic 'state.archive.events' literal Read Write
allow desk group 'archive.events' literal Read
allow desk transactional-id 'archive.events.' prefixed Write
allow console topic 'events' literal Read
allow console topic 'hits' literal Read
allow console topic 'alerts' literal Read
allow console topic 'dead' literal Read
allow console topic 'ledger' literal Read
allow console topic 'state.correlate.hits' literal Read
allow console group 'detect.events' literal Describe
allow console group 'correlate.hits' literal Describe
allow console group 'desk.alerts' literal Describe
allow console group 'desk.dead' literal Describe
allow console group 'desk.ledger' literal Describe
allow administrator topic '' prefixed Read Write Create Delete Alter DescribeConfigs AlterConfigs
allow administrator group '' prefixed Read Delete
allow administrator transactional-id '' prefixed Write
