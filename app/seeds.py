"""What a new bookshop starts with."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import AccountRow, BookRow, User
from app.tokens import hash_token

# DEMO SEEDS. Everybody can read these two tokens here: delete both accounts before the shop meets the internet.
DEMO_CUSTOMER_TOKEN = "demo-customer-token"  # noqa: S105 (a demo, printed at start-up)
DEMO_CLERK_TOKEN = "demo-clerk-token"  # noqa: S105 (a demo, printed at start-up)
DEMO_ACCOUNTS = (
    ("Demo Customer", "customer", DEMO_CUSTOMER_TOKEN),
    ("Demo Clerk", "clerk", DEMO_CLERK_TOKEN),
)
# The demo customer has an address for receipts, and signs in with the token: this is the hash of a password nobody knows.
DEMO_USER_EMAIL = "customer@bookshop.example"
DEMO_USER_HASH = "$argon2id$v=19$m=65536,t=3,p=4$136a3RCusBjQJkqbdpIEKw$JpyEePL8bRxCaDL0VZVCp4/vrBgx2wnpdzV8zRGRVmc"

# Title, author, year, price, cost, stock. All in the public domain.
BOOKS = (
    ("Pride and Prejudice", "Jane Austen", 1813, 899, 520, 12),
    ("Emma", "Jane Austen", 1815, 949, 560, 7),
    ("Frankenstein", "Mary Shelley", 1818, 799, 450, 9),
    ("Jane Eyre", "Charlotte Brontë", 1847, 999, 600, 8),
    ("Wuthering Heights", "Emily Brontë", 1847, 899, 530, 6),
    ("The Tenant of Wildfell Hall", "Anne Brontë", 1848, 1099, 680, 2),
    ("David Copperfield", "Charles Dickens", 1850, 1199, 740, 4),
    ("A Tale of Two Cities", "Charles Dickens", 1859, 849, 490, 10),
    ("Great Expectations", "Charles Dickens", 1861, 949, 570, 5),
    ("Moby-Dick", "Herman Melville", 1851, 1149, 700, 3),
    ("The Scarlet Letter", "Nathaniel Hawthorne", 1850, 799, 460, 6),
    ("Walden", "Henry David Thoreau", 1854, 849, 500, 4),
    ("Middlemarch", "George Eliot", 1871, 1299, 810, 5),
    ("Little Women", "Louisa May Alcott", 1868, 899, 520, 9),
    ("Alice's Adventures in Wonderland", "Lewis Carroll", 1865, 699, 380, 15),
    ("Through the Looking-Glass", "Lewis Carroll", 1871, 699, 380, 8),
    ("The Adventures of Tom Sawyer", "Mark Twain", 1876, 799, 450, 7),
    ("Adventures of Huckleberry Finn", "Mark Twain", 1884, 849, 490, 6),
    ("Treasure Island", "Robert Louis Stevenson", 1883, 749, 420, 11),
    ("Strange Case of Dr Jekyll and Mr Hyde", "Robert Louis Stevenson", 1886, 599, 320, 0),
    ("The Picture of Dorian Gray", "Oscar Wilde", 1890, 799, 450, 8),
    ("The Importance of Being Earnest", "Oscar Wilde", 1895, 599, 330, 5),
    ("The Adventures of Sherlock Holmes", "Arthur Conan Doyle", 1892, 949, 560, 13),
    ("The Hound of the Baskervilles", "Arthur Conan Doyle", 1902, 849, 500, 6),
    ("Dracula", "Bram Stoker", 1897, 899, 530, 7),
    ("The Time Machine", "H. G. Wells", 1895, 649, 350, 9),
    ("The War of the Worlds", "H. G. Wells", 1898, 749, 420, 6),
    ("The Turn of the Screw", "Henry James", 1898, 649, 360, 3),
    ("Heart of Darkness", "Joseph Conrad", 1899, 699, 390, 5),
    ("The Call of the Wild", "Jack London", 1903, 699, 390, 8),
    ("The Secret Garden", "Frances Hodgson Burnett", 1911, 799, 450, 6),
    ("Madame Bovary", "Gustave Flaubert", 1857, 949, 570, 4),
    ("Les Misérables", "Victor Hugo", 1862, 1499, 950, 3),
    ("The Count of Monte Cristo", "Alexandre Dumas", 1844, 1399, 880, 4),
    ("Around the World in Eighty Days", "Jules Verne", 1873, 799, 450, 7),
    ("Crime and Punishment", "Fyodor Dostoevsky", 1866, 1099, 670, 6),
    ("The Brothers Karamazov", "Fyodor Dostoevsky", 1880, 1399, 870, 2),
    ("Anna Karenina", "Leo Tolstoy", 1878, 1299, 800, 5),
    ("War and Peace", "Leo Tolstoy", 1869, 1599, 1010, 1),
    ("Don Quixote", "Miguel de Cervantes", 1605, 1499, 940, 3),
)


async def plant(session: AsyncSession) -> None:
    """Add the first books, the demo accounts and the demo user, each only to an empty table."""
    if not await session.scalar(select(func.count()).select_from(BookRow)):
        for title, author, year, price, cost, stock in BOOKS:
            session.add(BookRow(title=title, author=author, year=year, price_cents=price, cost_cents=cost, stock=stock))
    if not await session.scalar(select(func.count()).select_from(AccountRow)):
        for name, role, token in DEMO_ACCOUNTS:
            session.add(AccountRow(name=name, role=role, token_hash=hash_token(token)))
    if not await session.scalar(select(func.count()).select_from(User)):
        name, _, token = DEMO_ACCOUNTS[0]
        customer = await session.scalar(select(AccountRow).where(AccountRow.token_hash == hash_token(token)))
        if customer is not None:
            session.add(User(account=customer, email=DEMO_USER_EMAIL, name=name, password_hash=DEMO_USER_HASH))
