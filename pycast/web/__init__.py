"""Everything with a URL: one route table, handlers, pages."""
