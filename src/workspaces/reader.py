# Looks into a workspace for the agent server: runs inside the sandbox, in the workspace directory, with what is asked for in
# DIFY_FS_* variables. Prints one JSON object in base64 between two marks, because a terminal may add to what is printed.
import base64, codecs, heapq, json, os, stat, subprocess, sys

BEGIN, END = "<<<DIFY_FS_BEGIN>>>", "<<<DIFY_FS_END>>>"
LINE = 4000


def answer(payload):
    text = base64.b64encode(json.dumps(payload).encode("ascii")).decode("ascii")
    print(BEGIN)
    for start in range(0, len(text), LINE):
        print(text[start:start + LINE])
    print(END, flush=True)


def kind(mode):
    if stat.S_ISLNK(mode):
        return "symlink"
    if stat.S_ISDIR(mode):
        return "dir"
    return "file" if stat.S_ISREG(mode) else "other"


def listing(path, limit):
    if not os.path.isdir(path):
        return {"error": "not_a_directory"}
    with os.scandir(path) as found:
        names = heapq.nsmallest(limit + 1, (entry.name for entry in found))
    entries = []
    for name in names[:limit]:
        try:
            info = os.lstat(os.path.join(path, name))
        except FileNotFoundError:
            continue
        entries.append({"name": name, "type": kind(info.st_mode), "size": info.st_size, "mtime": int(info.st_mtime)})
    return {"entries": entries, "truncated": len(names) > limit}


def contents(path, limit, as_text):
    # Not blocked by a pipe that nobody writes; a link that was put there meanwhile is not followed.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(descriptor, "rb") as file:
        info = os.fstat(file.fileno())
        if stat.S_ISDIR(info.st_mode):
            return {"error": "is_a_directory"}
        if not stat.S_ISREG(info.st_mode):
            return {"error": "not_readable"}
        data = file.read(limit + 1)
    truncated = len(data) > limit
    data = data[:limit]
    found = {"size": info.st_size, "truncated": truncated}
    if not as_text:
        return {**found, "content_base64": base64.b64encode(data).decode("ascii")}
    try:
        # The last character may be cut in two.
        text = codecs.getincrementaldecoder("utf-8")("strict").decode(data, not truncated)
    except UnicodeDecodeError:
        return {**found, "binary": True, "text": None}
    return {**found, "binary": False, "text": text}


def upload(path):
    if not os.path.isfile(path):
        return {"error": "is_a_directory" if os.path.isdir(path) else "not_readable"}
    try:
        done = subprocess.run(["dify-agent", "file", "upload", path], stdin=subprocess.DEVNULL, capture_output=True)
    except FileNotFoundError:
        return {"exit_code": 127, "stdout": "", "stderr": "dify-agent: not found"}
    cut = lambda text: text[-65536:].decode("utf-8", "replace")
    return {"exit_code": done.returncode, "stdout": cut(done.stdout), "stderr": cut(done.stderr)}


def main():
    operation, path = os.environ["DIFY_FS_OPERATION"], os.environ["DIFY_FS_PATH"]
    limit = int(os.environ["DIFY_FS_LIMIT"])
    root = os.path.realpath(os.getcwd())
    target = os.path.realpath(os.path.join(root, path))
    if target != root and not target.startswith(root + os.sep):
        return {"error": "escape"}
    if not os.path.exists(target):
        return {"error": "not_found"}
    if operation == "list":
        return listing(target, limit)
    if operation == "upload":
        return upload(target)
    return contents(target, limit, operation == "read")


try:
    result = main()
except PermissionError:
    result = {"error": "not_readable"}
except FileNotFoundError:
    result = {"error": "not_found"}
except OSError as error:
    result = {"error": "failed", "message": str(error.strerror)}
except ValueError as error:
    result = {"error": "failed", "message": str(error)}
answer(result)
