# Looks into a workspace for the agent server: runs inside the sandbox, in the workspace directory, with what is asked for in
# DIFY_FS_* variables (the path in base64). Prints between two marks a JSON object and, after a dot, the bytes of a file, both
# in base64, because a terminal may add to what is printed.
import base64, errno, heapq, json, os, stat, sys

BEGIN, END = b"<<<DIFY_FS_BEGIN>>>", b"<<<DIFY_FS_END>>>"
LINE = 4000
# What is looked at may change meanwhile: no link is followed, nothing is waited for.
OPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
# What a system's refusal means; the rest is a failure.
FAULTS = {
    errno.ENOENT: "not_found",
    errno.ENAMETOOLONG: "not_found",
    errno.ENOTDIR: "not_a_directory",
    errno.ELOOP: "escape",
    errno.EACCES: "not_readable",
    errno.EPERM: "not_readable",
}


def answer(payload, data):
    text = base64.b64encode(json.dumps(payload).encode("ascii")) + b"." + base64.b64encode(data)
    lines = [text[start:start + LINE] for start in range(0, len(text), LINE)]
    sys.stdout.buffer.write(b"\n".join([BEGIN] + lines + [END, b""]))
    sys.stdout.buffer.flush()


def kind(mode):
    if stat.S_ISLNK(mode):
        return "symlink"
    if stat.S_ISDIR(mode):
        return "dir"
    return "file" if stat.S_ISREG(mode) else "other"


def shown(name):
    # A file name is bytes.
    return os.fsencode(name).decode("utf-8", "replace")


def directory(root, segments):
    # Step by step, so that a link that was put there meanwhile leads nowhere.
    opened = os.open(root, OPEN | os.O_DIRECTORY)
    for segment in segments:
        below = os.open(segment, OPEN | os.O_DIRECTORY, dir_fd=opened)
        os.close(opened)
        opened = below
    return opened


def listing(root, segments, limit):
    opened = directory(root, segments)
    with os.scandir(opened) as found:
        names = heapq.nsmallest(limit + 1, (entry.name for entry in found))
    entries = []
    for name in names[:limit]:
        try:
            info = os.stat(name, dir_fd=opened, follow_symlinks=False)
        except FileNotFoundError:
            continue
        entry = {"name": shown(name), "type": kind(info.st_mode), "size": info.st_size, "mtime": int(info.st_mtime)}
        entries.append(entry)
    return {"entries": entries, "truncated": len(names) > limit}


def contents(root, segments, limit):
    if not segments:
        return {"error": "is_a_directory"}, b""
    opened = directory(root, segments[:-1])
    # Judged before it is opened as well: opening a device can do something.
    mode = os.stat(segments[-1], dir_fd=opened, follow_symlinks=False).st_mode
    if stat.S_ISDIR(mode):
        return {"error": "is_a_directory"}, b""
    if not stat.S_ISREG(mode):
        return {"error": "not_readable"}, b""
    file = os.open(segments[-1], OPEN, dir_fd=opened)
    info = os.fstat(file)
    if not stat.S_ISREG(info.st_mode):
        return {"error": "not_readable"}, b""
    pieces, wanted = [], limit + 1
    while wanted > 0:
        piece = os.read(file, min(wanted, 1 << 20))
        if not piece:
            break
        pieces.append(piece)
        wanted -= len(piece)
    data = b"".join(pieces)
    return {"size": info.st_size, "truncated": len(data) > limit}, data[:limit]


def upload(target):
    if not os.path.isfile(target):
        return {"error": "is_a_directory" if os.path.isdir(target) else "not_readable"}
    import subprocess

    command = ["dify-agent", "file", "upload", target]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError as error:
        return {"exit_code": 127, "stdout": "", "stderr": "dify-agent: " + str(error.strerror)}
    out, said = (text[-65536:].decode("utf-8", "replace") for text in (done.stdout, done.stderr))
    return {"exit_code": done.returncode, "stdout": out, "stderr": said}


def look():
    operation, limit = os.environ["DIFY_FS_OPERATION"], int(os.environ["DIFY_FS_LIMIT"])
    path = os.fsdecode(base64.b64decode(os.environ["DIFY_FS_PATH"]))
    root = os.path.realpath(os.getcwd())
    target = os.path.realpath(os.path.join(root, path))
    below = root.rstrip(os.sep) + os.sep
    if target != root and not target.startswith(below):
        return {"error": "escape"}, b""
    if not os.path.lexists(target):
        return {"error": "not_found"}, b""
    segments = [] if target == root else target[len(below):].split(os.sep)
    if operation == "list":
        return listing(root, segments, limit), b""
    if operation == "upload":
        return upload(target), b""
    return contents(root, segments, limit)


try:
    result, data = look()
except OSError as error:
    result, data = {"error": FAULTS.get(error.errno, "failed"), "message": str(error.strerror)}, b""
answer(result, data)
