"""debugpy: a program waits for a client, is told a breakpoint in a module of the environment, stops there."""

import json
import os
import socket
import subprocess
import sys

import serve

serve.write_module("debugged", "def f(n):\n    m = n + 1\n    return m\n\n\nprint(f(41))\n")
port = serve.free_port()
process = subprocess.Popen([sys.executable, "-m", "debugpy", "--listen", f"127.0.0.1:{port}", "--wait-for-client",
                            "-m", "debugged"], stdout=subprocess.PIPE, text=True)


def connect():
    try:
        return socket.create_connection(("127.0.0.1", port), timeout=serve.SECONDS)
    except OSError:
        return None


client = serve.wait_for(connect, "debugpy")
stream = client.makefile("rwb")
number = 0


def send(command, **arguments):
    global number
    number += 1
    body = json.dumps({"seq": number, "type": "request", "command": command, "arguments": arguments}).encode()
    stream.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
    stream.flush()


def receive(kind, name):
    while True:
        length = 0
        while (line := stream.readline().strip()):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        message = json.loads(stream.read(length))
        if message["type"] == kind and message[{"event": "event", "response": "command"}[kind]] == name:
            return message


send("initialize", adapterID="test", pathFormat="path")
receive("response", "initialize")
send("attach", justMyCode=False)
receive("event", "initialized")
send("setBreakpoints", source={"path": f"{serve.SITE}/debugged.py"}, breakpoints=[{"line": 3}])
print([point["verified"] for point in receive("response", "setBreakpoints")["body"]["breakpoints"]])
send("configurationDone")
stopped = receive("event", "stopped")["body"]
print(stopped["reason"])
send("stackTrace", threadId=stopped["threadId"])
top = receive("response", "stackTrace")["body"]["stackFrames"][0]
print(top["name"], top["line"], os.path.samefile(top["source"]["path"], f"{serve.SITE}/debugged.py"))
send("continue", threadId=stopped["threadId"])
receive("event", "terminated")
send("disconnect")
client.close()
print(process.communicate(timeout=serve.SECONDS)[0])
