"""How far a judge can be trusted, beside people, naive judges and attacks: `audit.audit` makes the report card."""
