"""``python -m services.paper_tables``: prints ``docs/paper-tables.md``."""

from services.paper_tables.page import paper_tables_page

if __name__ == "__main__":
    print(paper_tables_page(), end="")
