"""What the API answers, by topic: routes fill these in and the client reads them."""
