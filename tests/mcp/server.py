"""An MCP server over stdio that writes down all that happens to it and misbehaves as it is told.

Usage: server.py LOG [WAY...]; each line of LOG is an event. Ways:
  fail            complain on stderr and exit before answering
  silent          never answer, not even to be initialized
  silent-list     never answer tools/list
  no-notices      don't say that changes are told
  stays           don't end when stdin is closed, nor on SIGTERM
  child           start a process of its own that would run for long
  tools=A,B       have these tools and no others
"""

import json
import os
import signal
import subprocess
import sys

log_path, *ways = sys.argv[1:]
tools = next((way[6:].split(",") for way in ways if way.startswith("tools=")), ["echo", "env", "grow", "hang", "leave"])


def log(line):
    with open(log_path, "a") as file:
        file.write(line + "\n")


def send(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def call(name, arguments, meta):
    if name == "meta":
        return {"content": [], "structuredContent": meta}
    if name == "echo":
        return {"content": [{"type": "text", "text": "Echo: " + arguments.get("message", "")}]}
    if name == "env":
        return {"content": [], "structuredContent": dict(os.environ)}
    if name == "fail":
        return {"content": [{"type": "text", "text": "No such city."}], "isError": True}
    if name == "grow":
        tools.append("grown")
        send({"method": "notifications/tools/list_changed"})
        return {"content": [{"type": "text", "text": "grew"}]}
    if name == "leave":
        sys.exit(0)
    return None


log(f"pid {os.getpid()}")
if "child" in ways:
    child = subprocess.Popen(["sleep", "1000"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    log(f"pid {child.pid}")
if "stays" in ways:
    signal.signal(signal.SIGTERM, lambda *_: log("SIGTERM"))
if "fail" in ways:
    sys.stderr.write("starting\nno database at " + os.environ.get("DATABASE", "home") + "\n")
    sys.exit(3)

for line in sys.stdin:
    message = json.loads(line)
    method, params = message.get("method"), message.get("params", {})
    log(method)
    result = None
    if method == "initialize" and "silent" not in ways:
        capabilities = {"tools": {} if "no-notices" in ways else {"listChanged": True}}
        result = {
            "protocolVersion": params["protocolVersion"],
            "capabilities": capabilities,
            "serverInfo": {"name": "counting", "version": "1"},
        }
    elif method == "tools/list" and "silent-list" not in ways:
        schema = {"type": "object", "properties": {"message": {"type": "string"}}}
        result = {"tools": [{"name": name, "description": f"Does {name}.", "inputSchema": schema} for name in tools]}
    elif method == "tools/call":
        result = call(params["name"], params.get("arguments", {}), params.get("_meta", {}))
    elif method == "ping":
        result = {}
    if result is not None and "id" in message:
        send({"id": message["id"], "result": result})

log("stdin closed")
while "stays" in ways:
    signal.pause()
