//! The real node: ldk-node inside this process. The only room that names `ldk_node`.
