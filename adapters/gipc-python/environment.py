"""Makes the environment of one variant: a Python of the right version with gevent, greenlet and gipc in it.

    python3 environment.py FOLDER PYTHON GEVENT GREENLET GIPC ["MORE==1.0 ..."]

Pythons are looked for with pyenv, and as pythonX.Y on the path; `3` is the one that runs this. The file `gipc-python.ready` is written last, so that a
set-up that was interrupted is not taken for a whole one.
"""

import os
import shutil
import subprocess
import sys

# The last one that still makes environments for Python 2.7 and 3.6.
VIRTUALENV = "virtualenv==20.21.1"
# The releases before 0.3.2 bring a script that fetches a setuptools of 2012 if this is not there.
SHIM = "import pkg_resources; pkg_resources._distribute = True\n"


def run(*command):
    print(" ".join(command), flush=True)
    subprocess.run(command, check=True)


def find(version):
    """The Python of this version; another patch release will do where pyenv is not there."""
    if version == "3":
        return sys.executable
    roots = [os.environ.get("PYENV_ROOT"), os.path.expanduser("~/.pyenv")]
    for root in filter(None, roots):
        python = os.path.join(root, "versions", version, "bin", "python")
        if os.path.exists(python):
            return python
    python = shutil.which("python" + version.rsplit(".", 1)[0])
    if python is None:
        sys.exit("there is no Python %s here: install it with pyenv, or leave this variant out" % version)
    return python


def make(folder, version):
    """An empty environment of that Python."""
    python = find(version)
    if os.path.exists(folder):
        shutil.rmtree(folder)
    if version == "3" or tuple(map(int, version.split("."))) >= (3, 8):
        run(python, "-m", "venv", folder)
        return
    maker = folder + ".maker"
    run(sys.executable, "-m", "venv", "--clear", maker)
    run(os.path.join(maker, "bin", "python"), "-m", "pip", "install", "--quiet", VIRTUALENV)
    run(os.path.join(maker, "bin", "python"), "-m", "virtualenv", "--quiet", "--python", python, folder)
    shutil.rmtree(maker)


def main(folder, version, gevent, greenlet, gipc, more=""):
    make(folder, version)
    python = os.path.join(folder, "bin", "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run(*pip, "greenlet==" + greenlet, "gevent==" + gevent, *more.split())
    if gipc in ("0.1.0", "0.2.0", "0.3.0", "0.3.1"):
        run(*pip, "distribute==0.7.3")
        where = subprocess.check_output([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"])
        with open(os.path.join(where.decode().strip(), "distribute-shim.pth"), "w") as shim:
            shim.write(SHIM)
    # Without its own wishes, which forbid some of the gevents that it is to be tried with.
    run(*pip, "--no-deps", "gipc==" + gipc)
    run(python, "-c", "import gipc")
    open(os.path.join(folder, "bin", "gipc-python.ready"), "w").close()


if __name__ == "__main__":
    main(*sys.argv[1:])
