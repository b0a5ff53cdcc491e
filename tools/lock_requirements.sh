#!/bin/sh
# Write requirements.lock: the versions of everything that requirements.txt and requirements-test.txt need, for every
# Python they allow. $1 is uv, which can resolve for Pythons other than the one it runs on. Run it by `make lock`.
set -eu
uv=$1

new=$(mktemp)
trap 'rm -f "$new"' EXIT
{
    echo "# Everything that requirements.txt and requirements-test.txt need in turn, for Python 3.11 to 3.13."
    echo "# Generated: change one of those files, then run \`make lock\`."
    # Without their own lines on the lock and on kmm_sim, which needs nothing.
    grep -hv -e '^-' requirements.txt requirements-test.txt |
        "$uv" --native-tls pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate -
} > "$new"
cat "$new" > requirements.lock
