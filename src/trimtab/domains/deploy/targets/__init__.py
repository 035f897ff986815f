"""Where replicas run: processes of this machine; other engines come beside them behind the same port."""
