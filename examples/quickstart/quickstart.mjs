// Counts on a topic and prints every value that arrives. It does the same as main.go beside it.

import diffusion from 'diffusion';

const session = await diffusion.connect({ host: 'localhost', port: 8080, principal: 'control', credentials: 'password' });

const int64 = diffusion.datatypes.int64();
session.addStream('demo/count', int64).on('value', (path, _, value) => console.log(path, value.toString()));
await session.select('demo/count');

const { TopicSpecification, TopicType } = diffusion.topics;
const counter = new TopicSpecification(TopicType.INT64);
let n = 1;
const next = () => session.topicUpdate.set('demo/count', int64, n++, { specification: counter });
next();
setInterval(next, 1000);
