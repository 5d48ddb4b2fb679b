import t from 'tap';

t.test('three things hold', async (t) => {
  t.ok(true);
  t.equal(1 + 1, 2);
  t.match('kefu', /k/);
});
