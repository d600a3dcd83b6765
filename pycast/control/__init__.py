"""What an admin asks or orders, of this node or of the whole cluster; fallbacks; the statistics' snapshot."""
