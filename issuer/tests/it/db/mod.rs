mod pooling;
