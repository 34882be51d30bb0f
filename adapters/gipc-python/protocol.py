"""Values of the protocol: payloads, messages, exit statuses, the outcomes of errors; and the codecs of the scenarios.

Of gipc only its exceptions are used here. This file runs on every Python from 2.7 on.
"""

import errno
import hashlib
import json
import signal
import struct

import gipc

NOISE_BLOCK = 65521


class Unsupported(Exception):
    """gipc has no such operation."""


class Unencodable(Exception):
    """The value can't be encoded."""


class Undecodable(Exception):
    """The bytes can't be decoded."""


class Malformed(Exception):
    """The library says that the bytes in the pipe are not a message."""


class Raised(Exception):
    """The scenario says that this entry, or the body of a scope, fails."""


def failing_encoder(data):
    if data == "unencodable":
        raise Unencodable
    return data.encode("utf-8")


def failing_decoder(data):
    if data == b"undecodable":
        raise Undecodable
    return data.decode("utf-8")


def to_json(value):
    return json.dumps(value).encode("utf-8")


def from_json(data):
    return json.loads(data.decode("utf-8"))


# Encoder and decoder of each codec. Without a codec, bytes are sent as they are, so that gipc does not pickle them.
CODECS = {
    None: (None, None),
    "json": (to_json, from_json),
    "failing": (failing_encoder, failing_decoder),
}


def noise(seed, length):
    """Generates `length` bytes from a seed: SHA-256 digests, cut to one block, which is repeated."""
    wanted = min(length, NOISE_BLOCK)
    seed = seed.encode("utf-8")
    digests = (hashlib.sha256(b"%s:%d" % (seed, n)).digest() for n in range(wanted // 32 + 1))
    block = b"".join(digests)[:wanted]
    return (block * (length // NOISE_BLOCK + 1))[:length]


def content(payload):
    return payload["text"].encode("utf-8") if "text" in payload else noise(payload["seed"], payload["len"])


def message(data):
    """The outcome that reports a received message."""
    outcome = {"is": "message", "len": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    if len(data) <= 64:
        try:
            outcome["text"] = data.decode("utf-8")
        except UnicodeDecodeError:
            pass
    return outcome


def signal_number(name):
    return getattr(signal, str(name))


def signal_name(number):
    names = (name for name in dir(signal) if name.startswith("SIG") and not name.startswith("SIG_"))
    return next((name for name in names if getattr(signal, name) == number), "SIG%d" % number)


def ended(code):
    """The exit status as an outcome, from an exit code as Python has it: negative for a signal, None while running."""
    if code is None:
        return {"is": "running"}
    if code < 0:
        return {"is": "signal", "name": signal_name(-code)}
    return {"is": "exit", "code": code}


# The outcome of each exception; the first match counts. Errors of the operating system are handled in `explain`.
OUTCOMES = [
    (Unencodable, "encode"),
    (Undecodable, "decode"),
    (Malformed, "protocol"),
    (TypeError, "misuse"),
    (gipc.GIPCLocked, "locked"),
    (gipc.GIPCClosed, "closed"),
    (gipc.GIPCError, "misuse"),
    (EOFError, "eof"),
    (struct.error, "too-large"),
]


def explain(error):
    """The outcome for a Python exception."""
    for kind, word in OUTCOMES:
        if isinstance(error, kind):
            return {"is": word}
    if isinstance(error, EnvironmentError):
        if error.errno == errno.EPIPE:
            return {"is": "broken"}
        if error.errno is not None:
            return {"is": "os", "name": errno.errorcode.get(error.errno, str(error.errno))}
        if "interrupted by EOF" in str(error):
            return {"is": "truncated"}
    return {"is": "other"}
