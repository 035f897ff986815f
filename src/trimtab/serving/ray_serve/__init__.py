"""An endpoint on Ray Serve: a deployment for each version, and before them a router that is the gateway's front.

Only what runs inside a Ray cluster is here, and only `application` imports Ray.
"""
