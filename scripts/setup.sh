# Sourced by demo.sh and test.sh: makes the virtual environment .venv, installs the package in it
# if setup.cfg has changed since the last time, and fetches ResNet50's weights if they are missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=${PYTHON:-python3}
stamp=.venv/installed-setup.cfg
if ! cmp -s setup.cfg "$stamp"; then
    echo "setting up .venv (once; a few minutes) ..."
    "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || {
        echo "Python 3.11 to 3.13 is needed, $("$python" --version) was found;" \
            "PYTHON=/path/to/python names another" >&2
        exit 1
    }
    "$python" -m venv .venv
    # What is imported is compiled then; most of what is installed never is.
    install=(.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile)
    "${install[@]}" --editable '.[demo,dev]'
    # By itself: tensorflow-text, which it asks for, goes with an older TensorFlow only.
    "${install[@]}" --no-deps keras-hub regex tokenizers
    cp setup.cfg "$stamp"
fi
.venv/bin/guidedcam weights fetch resnet50
