"""Does the ruleset do what the site says: plain reference, walk of the ruleset, proof, explanation."""
