"""A stand-in for Revel: resources in Tastypie's manner, the cart API, order.finalized."""
