"""What a query is made of: tables and fields, predicates, scope, parameters, errors."""
