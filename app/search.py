"""One spelling for what is stored to be searched and for what people type."""

import unicodedata


def fold(text: str) -> str:
    """Give the text without accents, case and superfluous spaces: `"  BRONTË "` is `"bronte"`."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join(plain.casefold().split())
