"""Creates the virtual environment of one variant: the right version of Python with gevent, greenlet and gipc.

    python3 environment.py FOLDER PYTHON GEVENT GREENLET GIPC ["MORE==1.0 ..."]

Python is looked for in pyenv, and as pythonX.Y on the path; `3` is the Python that runs this file. The file
`gipc-python.ready` is written last, so that an interrupted setup does not count as complete.
"""

import os
import shutil
import subprocess
import sys

# The last version that can create environments for Python 2.7 and 3.6.
VIRTUALENV = "virtualenv==20.21.1"
# Without this attribute, the setup scripts of releases before 0.3.2 download a setuptools of 2012.
SHIM = "import pkg_resources; pkg_resources._distribute = True\n"


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


def main(folder, version, gevent, greenlet, gipc, more=""):
    create(folder, version)
    python = os.path.join(folder, "bin", "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run(*pip, "greenlet==" + greenlet, "gevent==" + gevent, *more.split())
    if gipc in ("0.1.0", "0.2.0", "0.3.0", "0.3.1"):
        run(*pip, "distribute==0.7.3")
        program = "import sysconfig; print(sysconfig.get_path('purelib'))"
        site_packages = subprocess.check_output([python, "-c", program])
        with open(os.path.join(site_packages.decode().strip(), "distribute-shim.pth"), "w") as shim:
            shim.write(SHIM)
    # Without dependencies: the requirements of some releases exclude the gevent of their variant.
    run(*pip, "--no-deps", "gipc==" + gipc)
    run(python, "-c", "import gipc")
    open(os.path.join(folder, "bin", "gipc-python.ready"), "w").close()


if __name__ == "__main__":
    main(*sys.argv[1:])
