"""The serving data plane: a gateway process and model replicas that stand apart from the server and its database.

The gateway (`gateway`, one event loop) speaks HTTP with clients and frames with replicas; a replica (`replica`, one
thread) holds one model and answers over a Unix socket. The control plane starts both (`processes`), tells the gateway
what to serve (`routes`, through `control`) and reads what it answered (`segments`). Nothing here imports more of
Trimtab than its kernel.
"""
