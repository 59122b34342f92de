"""What a method that changes books needs."""

from app.interceptors.forget_answers import ForgetAnswers
from app.interceptors.transaction import Transaction
from interceptors import Chain

# Forgetting stands outside: what is forgotten before the commit would be read, and cached, once more.
changing_books = Chain([ForgetAnswers, Transaction])
