"""What a person looks at after a sweep, made from the tracking store."""
