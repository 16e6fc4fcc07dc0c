-- Every book's balance, recomputed from all its entries.
select book, currency, exponent, CAST(sum(amount) AS bigint) as amount, count(*) as entries
from ledger_entry
group by book, currency, exponent
order by currency, exponent, book
