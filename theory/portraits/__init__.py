"""Phase planes: their curves, equilibria and level sets."""
