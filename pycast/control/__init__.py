"""An admin's questions and orders, for this node or the whole cluster; fallbacks; the statistics' snapshot."""
