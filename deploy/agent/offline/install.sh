#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs the agent from this folder alone; nothing is fetched. It needs python3 with
# its venv (Debian: python3-venv), sha256sum, and openssl 3 for the signature.
#
# It checks the folder once more. Whoever could change the folder could change this
# script as well: docs/how-to-agency.md has the two commands to run before it.
set -eu
umask 022

usage() {
    cat <<'END'
Usage: ./install.sh --key RELEASE.pub [--into FOLDER] [EXTRA…]
       ./install.sh --not-signed      [--into FOLDER] [EXTRA…]

  --key RELEASE.pub  the public key of whoever released this, which you got another way
  --not-signed       trust the way by which this folder came
  --into FOLDER      where to (/usr/local/lib/accord-agent)
  EXTRA              excel, metrics, mysql, page, pkcs11, postgresql, sqlite, sqlserver,
                     tracing

$PYTHON names another Python than python3.
END
}

fail() {
    echo "install.sh: $1" >&2
    exit 1
}

here=$(cd "$(dirname "$0")" && pwd)
into=/usr/local/lib/accord-agent
key=
signed=unsaid
extras=
while [ $# -gt 0 ]; do
    case $1 in
    --key)
        [ $# -ge 2 ] || fail "--key needs the file of a public key."
        key=$2 signed=yes
        shift
        ;;
    --not-signed) signed=no ;;
    --into)
        [ $# -ge 2 ] || fail "--into needs a folder."
        into=$2
        shift
        ;;
    --help | -h)
        usage
        exit 0
        ;;
    -*) fail "there is no option $1; see ./install.sh --help." ;;
    *)
        [ -f "$here/extras/$1.txt" ] || fail "there is no extra $1; see ./install.sh --help."
        extras="$extras $1"
        ;;
    esac
    shift
done
python=${PYTHON:-python3}
case $into in
/*) ;;
*) into=$PWD/$into ;;
esac

# 1. The list of sums is the release person's.
case $signed in
yes)
    [ -f "$key" ] || fail "$key, the public key, is not there."
    command -v openssl >/dev/null || fail "openssl is missing: it checks the signature."
    openssl pkeyutl -verify -pubin -inkey "$key" -rawin -in "$here/SHA256SUMS" \
        -sigfile "$here/SHA256SUMS.sig" >/dev/null 2>&1 ||
        fail "SHA256SUMS.sig was not made by this key: do not install this."
    ;;
no) echo "The signature is not checked." >&2 ;;
*) fail "name the release key with --key, or say --not-signed; see ./install.sh --help." ;;
esac

# 2. Every file is on it, as it was.
(cd "$here" && sha256sum --check --strict --quiet SHA256SUMS) ||
    fail "a file is not what was signed: copy the folder again."
(cd "$here" && find . ! -type d ! -path ./SHA256SUMS ! -path ./SHA256SUMS.sig) |
    while IFS= read -r file; do
        cut -c67- "$here/SHA256SUMS" | grep -qxF "${file#./}" || {
            echo "install.sh: $file is on no list: do not install this." >&2
            exit 1
        }
    done || exit 1

# 3. This Python is one that the wheels are for. (-I: whoever can write to the folder from
#    which the script is called could put modules there.)
command -v "$python" >/dev/null || fail "there is no $python: name another with PYTHON=."
version=$("$python" -I -c 'import sys; print("%d.%d" % sys.version_info[:2])')
grep -qxF "$version" "$here/pythons" ||
    fail "this folder is for Python $(paste -sd' ' "$here/pythons"), and $python is $version."
"$python" -I -c 'import ensurepip, venv' 2>/dev/null ||
    fail "$python has no venv; on Debian: apt-get install python3-venv."

# 4. A folder of its own for this version; the name is switched to it in one step, so an
#    agent that runs keeps its files, and the version before can be switched back to.
release=$(sed -n 's/^accord-agent==\([^ ]*\) .*/\1/p' "$here/requirements.txt")
target=$into-$release
again=1
while [ -e "$target" ]; do
    again=$((again + 1))
    target=$into-$release-$again
done
if [ -e "$into" ] && [ ! -L "$into" ]; then
    fail "$into is there and was not made by this script: move it away, or name another with --into."
fi
mkdir -p "$(dirname "$into")"
"$python" -I -m venv "$target"
set -- -r "$here/requirements.txt"
for extra in $extras; do
    set -- "$@" -r "$here/extras/$extra.txt"
done
if ! PIP_CONFIG_FILE=/dev/null "$target/bin/pip" --isolated --disable-pip-version-check \
    install --quiet --no-cache-dir --no-index --find-links "$here/wheels" \
    --only-binary=:all: --require-hashes "$@"; then
    rm -rf "$target"
    fail "pip could not install it; $into is as it was."
fi
if ! "$target/bin/pip" --isolated --disable-pip-version-check check >/dev/null; then
    rm -rf "$target"
    fail "something is missing from this folder; $into is as it was."
fi
ln -sfn "$(basename "$target")" "$into.next"
mv -T "$into.next" "$into"

echo "Installed: $into/bin/accord-agent ($release)."
echo "Next: docs/how-to-agency.md, \"Install\"; the units for systemd are in $here/systemd."
