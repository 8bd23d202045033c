import ArgumentParser
@main struct Mailctl: ParsableCommand { func run() {} }
