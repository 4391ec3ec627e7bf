"""Gives every Python of a run a host name that nothing else holds, for a search of all it makes."""

import os

HOST = "zqplanthost"
SYSTEM, _, *REST = os.uname()
NAMED = os.uname_result((SYSTEM, HOST, *REST))
os.uname = lambda: NAMED
