#!/bin/sh
# Make the virtual environment in the folder $1, with the Python in $PYTHON or else the first that fits.
set -eu
venv=$1

fits() {  # is this command a Python that the pinned packages have wheels for?
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

python=
for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if fits "$candidate"; then python=$candidate; break; fi
done
if [ -z "$python" ]; then
    echo "No Python 3.11, 3.12 or 3.13 found (looked for: ${PYTHON:-python3, python3.13, python3.12, python3.11})." >&2
    echo "Install one, or say where it is:  make book PYTHON=/path/to/python3.12" >&2
    exit 1
fi

if ! "$python" -c 'import ensurepip' 2>/dev/null; then  # Debian keeps the module apart
    version=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "Installing $version, which this Python needs to make an environment ..."
        { apt-get -qq update && apt-get -qq install -y "$version"; } >/dev/null
    else
        echo "This Python cannot make an environment. On Debian or Ubuntu:  sudo apt install $version" >&2
        exit 1
    fi
fi

echo "Making $venv with $("$python" -V) ..."
"$python" -m venv --clear "$venv"
