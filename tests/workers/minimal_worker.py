"""Code of a worker process without torch: the real channel, and whatever is to happen with it."""

READY = """\
import json, os, signal, subprocess, sys, time
from attnbench.workers.task_channel import TaskChannel
channel = TaskChannel()
def say(**answer):
    channel.write(json.dumps(answer))
say(ready=1)
"""
TASK = READY + "task = json.loads(channel.readline())\n"
