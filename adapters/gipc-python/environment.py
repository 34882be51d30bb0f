"""Creates the virtual environment of one variant: the right version of Python with gevent, greenlet and gipc.

    python3 environment.py FOLDER PYTHON GEVENT GREENLET GIPC ["MORE==1.0 ..."]

Python is looked for in pyenv, and as pythonX.Y on the path; `3` is the Python that runs this file. The file
`gipc-python.ready` is written last, so that an interrupted setup does not count as complete.
"""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit"))
from releases import create, run  # noqa: E402

# Without this attribute, the setup scripts of releases before 0.3.2 download a setuptools of 2012.
SHIM = "import pkg_resources; pkg_resources._distribute = True\n"


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
    # Where Python may not write the compiled modules later, each start would compile them again. If this folder cannot be
    # written to, each start does. Python 2 would write them beside the sources.
    if not version.startswith("2"):
        subprocess.call([python, "-m", "compileall", "-qq", "-l", os.path.dirname(os.path.abspath(__file__))])
    open(os.path.join(folder, "bin", "gipc-python.ready"), "w").close()


if __name__ == "__main__":
    main(*sys.argv[1:])
