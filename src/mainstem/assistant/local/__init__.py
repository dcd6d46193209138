"""What people write, understood without a language model: rules, slots, and a question where two readings are near."""
