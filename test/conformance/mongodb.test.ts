import { describe, inject } from 'vitest';
import { keyStoreConformance } from './key-store.ts';
import { openMongo } from './open-mongo.ts';

describe.skipIf(inject('mongodb') === '')('over a real server', () => {
  keyStoreConformance('mongodb', openMongo);
});
